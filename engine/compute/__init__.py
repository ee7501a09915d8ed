"""The worker: data, LoRA, training, inference and evaluation. Never imports the controller."""
