"""What a distribution, a sample or a model says about the floor of the population."""
