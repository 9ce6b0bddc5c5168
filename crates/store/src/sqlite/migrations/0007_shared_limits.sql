-- Limits that several gateways share are kept in servers alone; the number is taken so that both databases go in step.

SELECT 1;
