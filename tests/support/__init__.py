"""What several tests share, and what tests share with benchmarks."""
