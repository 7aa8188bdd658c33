"""Faults planted one at a time into the modules that decide about numbers and verdicts: do the tests notice?"""
