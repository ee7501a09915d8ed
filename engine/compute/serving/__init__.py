"""Models and adapters over HTTP in OpenAI's form: who may ask, what is understood, what is told."""
