"""Operations: what the model in use is asked and says, beside what it was trained on, and what should be done."""
