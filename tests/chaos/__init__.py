"""Faults at random and at named places, over several runs at once; at the end nothing may be lost."""
