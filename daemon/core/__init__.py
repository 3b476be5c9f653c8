"""The pure heart: facts in, decisions out. No clock, chance, I/O, logging or async may enter here."""
