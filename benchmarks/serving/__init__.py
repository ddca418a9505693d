"""The endpoint over HTTP beside a bare echo and other servers of the same trees, in turn in one run."""
