# What the policies share.
package main

import rego.v1

# Is the object made or changed? A blocked change and an orphan are `no-op`.
is_written(resource) if {
	some action in resource.change.actions
	action in {"create", "update"}
}

# A finding with its place in the files. What left the files has none.
found(resource, msg) := {"msg": msg, "_loc": {"file": source.file, "line": source.line}} if {
	source := resource.patchbay.source
	source != null
}

found(resource, msg) := {"msg": msg} if resource.patchbay.source == null
