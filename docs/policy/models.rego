# Only models that somebody approved.
package main

import rego.v1

allowed_models := {
	"gpt-4o",
	"gpt-4o-mini",
	"claude-3-5-haiku-20241022",
	"llama3-70b-8192",
}

deny contains found(resource, msg) if {
	some resource in input.resource_changes
	is_written(resource)
	model := resource.change.after.model
	not model in allowed_models
	msg := sprintf("%s: the model %s is not on the list", [resource.address, model])
}

# A model that is read from another connection may not be known before the apply.
deny contains found(resource, msg) if {
	some resource in input.resource_changes
	is_written(resource)
	resource.change.after_unknown.model
	msg := sprintf("%s: the model is not known yet", [resource.address])
}
