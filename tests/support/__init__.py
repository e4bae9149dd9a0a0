"""What several tests share: oracles, slow references, instances."""
