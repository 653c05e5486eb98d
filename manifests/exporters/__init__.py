"""A finished dataset in the formats that training code reads, one module each."""
