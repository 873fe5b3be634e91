package main

import rego.v1

test_deletes_and_replacements_in_production_are_denied if {
	messages(deny) == {
		"flashback-prod/assistant: this replace takes the live object away, and flashback-prod is a production target",
		"gateway-prod/prod-mistral: this delete takes the live object away, and gateway-prod is a production target",
	} with input as data.fixtures.production
}

# The fixture deletes `gateway-dev/dev-mistral`, too.
test_deletes_elsewhere_are_allowed if {
	not denied("gateway-dev/dev-mistral") with input as data.fixtures.production
}

test_what_left_the_files_has_no_place if {
	some finding in deny with input as data.fixtures.production
	startswith(finding.msg, "gateway-prod/prod-mistral:")
	not finding._loc
}

test_a_plan_without_deletes_is_allowed if {
	count(deny) == 0 with input as data.fixtures.clean
}

denied(address) if {
	some finding in deny
	startswith(finding.msg, sprintf("%s:", [address]))
}
