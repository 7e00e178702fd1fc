"""What a team writes first for the same job: the baseline of `make bench-peers`. Not part of the product."""
