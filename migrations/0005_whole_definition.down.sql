select set_config('tollgate.tenant', '*', true);

drop table tag;
update api set definition = replace(replace(definition::text, '"authorizerId": ', '"authorizer": '), '"requestValidatorId": ', '"requestValidator": ')::jsonb
  where definition is not null;
alter table api drop column about;
