"""The highly available lab: three masters, one address, real balancers, on one machine."""
