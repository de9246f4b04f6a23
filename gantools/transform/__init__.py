"""Pictures to pictures: what a trained translator is for."""
