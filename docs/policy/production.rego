# Nothing is deleted on a production target, and nothing replaced, which deletes first.
package main

import rego.v1

deny contains found(resource, msg) if {
	some resource in input.resource_changes
	is_production(resource.target)
	"delete" in resource.change.actions
	msg := sprintf("%s: this %s takes the live object away, and %s is a production target", [
		resource.address,
		resource.patchbay.action,
		resource.target,
	])
}

is_production(target) if endswith(target, "-prod")
