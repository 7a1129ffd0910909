-- How each node finds the addresses behind VPC links: the present alone. Nodes tell all of
-- it again, so a crash may empty it.
create unlogged table link_target (
  tenant_id integer not null,
  link_id text not null,
  target text not null check (length(target) <= 300),
  gateway_id integer not null,
  node text not null,
  boot text not null, -- what another start of the node said counts no more
  up boolean not null,
  since timestamptz not null, -- it is up, or not, by the control plane's clock at the latest
  reason text not null check (length(reason) <= 500), -- why it was left out last; '': it was not
  primary key (tenant_id, link_id, target, gateway_id, node),
  foreign key (tenant_id, link_id) references vpc_link on delete cascade,
  foreign key (gateway_id, node) references node on delete cascade
);
create index link_target_node on link_target (gateway_id, node);

alter table link_target enable row level security;
alter table link_target force row level security;
create policy tenant_only on link_target using (
  tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*');
