"""Who a client is: tokens, certificates, exec plugins, impersonation."""
