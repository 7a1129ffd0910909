alter table gateway drop constraint gateway_run, drop constraint gateway_first, drop column url, drop column run_addr, drop column run_tls_addr;
