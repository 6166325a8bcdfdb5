"""Tests of samples that grow while they are looked at."""
