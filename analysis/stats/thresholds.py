"""The thresholds of every test and interval."""

CONFIDENCE = 0.95

ALPHA = 0.05

POWER = 0.8

# House rule: below this many seeds an arm is described, never judged.
MIN_SEEDS = 5
