"""Values: what an expression can hold, and what a call of this file is given."""
