GRANT SELECT ON model_task_costs TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION recommend_model(text, text, numeric, integer), suggest_budget_savings(integer, integer)
    TO authenticated, service_role;
