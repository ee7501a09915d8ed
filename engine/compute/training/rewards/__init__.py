"""Rewards for answers: those of ours, files of the user's in a process apart, and reward models."""
