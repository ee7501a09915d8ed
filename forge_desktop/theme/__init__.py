"""Tokens, style sheet, icons, fonts and small widgets everything else is made of."""
