# Every endpoint that a plan would write uses https.
package main

import rego.v1

# Where each type of connection has its endpoint. `type` is the platform and the kind.
endpoints := {
	"koreai_custom": ["endpointUrl"],
	"koreai_custom_existing": ["endpointUrl"],
	"koreai_custom_legacy": ["fields", "BASE_URL"],
	"gateway_provider": ["metadata", "baseUrl"],
	"flashback_llm": ["endpoint"],
}

deny contains found(resource, msg) if {
	some resource in input.resource_changes
	is_written(resource)
	url := object.get(resource.change.after, endpoints[resource.type], null)
	is_string(url)
	not is_hidden(resource)
	not startswith(lower(url), "https://")
	msg := sprintf("%s: the endpoint %s does not use https", [resource.address, url])
}

# A secret is shown as a fingerprint, and an id that does not exist yet as nothing. Neither can be judged.
warn contains found(resource, msg) if {
	some resource in input.resource_changes
	is_written(resource)
	is_hidden(resource)
	msg := sprintf("%s: the endpoint is not shown in the plan, so nobody knows whether it uses https", [resource.address])
}

is_hidden(resource) if object.get(resource.change.after_sensitive, endpoints[resource.type], false) == true

is_hidden(resource) if object.get(resource.change.after_unknown, endpoints[resource.type], false) == true
