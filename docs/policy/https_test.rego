package main

import rego.v1

messages(findings) := {finding.msg | some finding in findings}

test_plain_http_is_denied if {
	messages(deny) == {
		"gateway-prod/openai: the endpoint HTTP://api.openai.com/v1 does not use https",
		"kore-prod/groq-llama: the endpoint http://api.groq.com/openai/v1/chat/completions does not use https",
	} with input as data.fixtures.plain_http
}

test_what_is_not_shown_is_a_warning if {
	messages(warn) == {
		"flashback-prod/assistant: the endpoint is not shown in the plan, so nobody knows whether it uses https",
		"flashback-prod/by-gateway: the endpoint is not shown in the plan, so nobody knows whether it uses https",
	} with input as data.fixtures.plain_http
}

test_a_finding_has_a_place_in_the_files if {
	{"file": "connections/kore.yaml", "line": 10} in {finding._loc | some finding in deny} with input as data.fixtures.plain_http
}

test_https_is_allowed if {
	count(deny) == 0 with input as data.fixtures.clean
	count(warn) == 0 with input as data.fixtures.clean
}
