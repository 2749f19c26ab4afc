"""Data: manifests, and one loader a data set that ends in the same canonical arrays whatever the source."""
