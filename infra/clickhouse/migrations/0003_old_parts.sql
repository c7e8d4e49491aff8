-- A part that was merged into another one stays in memory and on disk for 8 minutes by default, against a power cut
-- before the kernel has written the new one. That takes it half a minute; under load there were 500 of them at a time.
-- What a power cut may take from here all the same, reconcile finds in Kafka and puts back.
ALTER TABLE usage_facts {on_cluster} MODIFY SETTING old_parts_lifetime = 60;
ALTER TABLE usage_identities {on_cluster} MODIFY SETTING old_parts_lifetime = 60;
ALTER TABLE charge_facts {on_cluster} MODIFY SETTING old_parts_lifetime = 60;
ALTER TABLE sink_progress {on_cluster} MODIFY SETTING old_parts_lifetime = 60
