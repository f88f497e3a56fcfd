GRANT SELECT ON model_task_costs TO authenticated, service_role;
GRANT EXECUTE
    ON FUNCTION
        model_costs_since(timestamptz, text),
        recommend_model(text, text, numeric, integer),
        suggest_budget_savings(integer, integer, text)
    TO authenticated, service_role;
