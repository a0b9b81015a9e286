def test_placeholder_is_replaced_by_the_layer_check():
    pass
