select set_config('tollgate.tenant', '*', true);

-- What lists of APIs say of each, so that they need not read its definition.
alter table api add column about jsonb not null default '{}';
update api set about = definition - '{authorizers,models,requestValidators,gatewayResponses,documentationParts,unserved}'::text[]
  || jsonb_build_object('resources', jsonb_path_query_array(definition, '$.resources[*] ? (@.path == "/")') #- '{0,resourceMethods}')
  where definition is not null;

-- A method names its authorizer and its validator by id. The names that were there
-- are ids of nothing, so the API still cannot be deployed without them.
update api set definition = replace(replace(definition::text, '"authorizer": ', '"authorizerId": '), '"requestValidator": ', '"requestValidatorId": ')::jsonb
  where definition is not null;

-- Tags of anything that has an ARN, by the path in it, such as /restapis/abcdef1234.
create table tag (
  tenant_id integer not null references tenant,
  resource text not null check (length(resource) <= 1024),
  tags jsonb not null,
  primary key (tenant_id, resource)
);
alter table tag enable row level security;
alter table tag force row level security;
create policy tenant_only on tag using (
  tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*');
