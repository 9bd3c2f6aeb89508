"""The zoo, the suites that measure the product on it, and the fitting of what ships."""
