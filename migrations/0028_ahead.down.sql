alter table usage_boot drop column ahead;
