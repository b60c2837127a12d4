"""How well the rules hold for servers they were not made from (`make crossval`)."""
