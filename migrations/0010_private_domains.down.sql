select set_config('tollgate.tenant', '*', true);
delete from tag where starts_with(resource, '/domainnameaccessassociations/');
delete from tag g using domain d where d.private and g.tenant_id = d.tenant_id and g.resource = '/domainnames/' || d.key;
drop table access_association;
delete from domain where private;
alter table domain
  drop constraint domain_tenant_id_public_name_fkey,
  drop constraint domain_key_key,
  drop column public_name,
  drop column key,
  drop column private,
  add constraint domain_name_key unique (tenant_id, name),
  add foreign key (tenant_id, name) references owned_name;
