alter table quota_lease drop column taken;
