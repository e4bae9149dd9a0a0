"""What the families share: convex bodies, exact decisions, common points, changes of a few features."""
