"""How often two identical methods are called different after tuning, with real cells."""
