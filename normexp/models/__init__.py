"""Networks with a pluggable norm layer."""
