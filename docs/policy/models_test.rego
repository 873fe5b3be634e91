package main

import rego.v1

test_a_model_that_is_not_on_the_list_is_denied if {
	messages(deny) == {"kore-prod/groq-llama: the model llama3-8b-8192 is not on the list"} with input as data.fixtures.models
}

test_a_model_that_is_not_known_yet_is_denied if {
	plan := json.patch(data.fixtures.clean, [
		{"op": "remove", "path": "/resource_changes/3/change/after/model"},
		{"op": "add", "path": "/resource_changes/3/change/after_unknown/model", "value": true},
	])
	messages(deny) == {"kore-prod/support-gpt4o: the model is not known yet"} with input as plan
}

test_models_on_the_list_are_allowed if {
	count(deny) == 0 with input as data.fixtures.clean
}
