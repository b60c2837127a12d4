"""Pure judgement: how much, when, to whom, and what evidence means."""
