"""What earlier searches evaluated, put to use in a new one: warm starts and surrogates that know several tasks."""
