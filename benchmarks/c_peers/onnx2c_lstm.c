{
    const int now = turn, next = 2 - turn;
    onnx2c_entry((const float(*)[1][8])x, state[now], state[now + 1], state[next], state[next + 1]);
    turn = next;
    for (int i = 0; i < 32; i++) {
        y[i] = state[next][0][0][i];
    }
}
