"""What the tests are made with: databases, folders of migrations, programs, proxies, processes, and questions to them."""
