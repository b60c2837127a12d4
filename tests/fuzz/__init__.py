"""Coverage-guided fuzzing of every parser of foreign words (`make fuzz`), and what must hold whatever it finds."""
