"""Admin verbs, one module per noun: parse, call, print."""
