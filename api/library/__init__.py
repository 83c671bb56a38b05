"""The Python API of the documents: TaskManager, TaskTreeNode, TaskRepository, sessions."""
