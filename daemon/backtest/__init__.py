"""The third shell around `step`: recorded history in, what a policy would have done out. It never acts on anything."""
