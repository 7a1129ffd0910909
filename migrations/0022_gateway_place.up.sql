-- Where a gateway is, for those whose APIs it serves, and where tollgate itself runs a node
-- of it, as a process of its own.
alter table gateway
  add column url text, -- null: the installation's
  add column run_addr text unique, -- host and port; null: its nodes are started by others
  add column run_tls_addr text unique,
  add constraint gateway_run check (run_addr is not null or run_tls_addr is null),
  add constraint gateway_first check (gateway_id <> 1 or url is null and run_addr is null);
